// Command differential sends the same requests to upstream's API server and to ours, and
// says where they answer differently: upstream's own program is the oracle of what the API
// does. Requests are a function of a seed; they cover every kind that upstream serves, by
// discovery, or those that manifests bring. It may import its own packages, bench/master,
// e2e/manifests and runtime/config.
package main
