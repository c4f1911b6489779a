// Command terraform-provider-gantry serves the provider plugin.
package main

func main() {}
