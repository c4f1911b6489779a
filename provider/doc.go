// Package provider is the plugin as terraform-plugin-framework wants it: the schemas,
// and the wiring of resources, data sources, ephemeral resources and functions. Each is
// thin: model → spec → one call of the engine → state. What it is wired to stands in
// the packages below: model (HCL values and spec), plan (what a plan does and says),
// diagnose (errors as diagnostics), login (the blocks ssh), inventory (servers as text)
// and runlog (log_dir). It may import those, bootstrap and its packages.
//
// Calls run downward:
//
//	serve.go
//	provider.go                                      what there is; Configure
//	resource_*, data_source_*, ephemeral_*, function_*   one each
//	hosts_lifecycle.go, hosts_plan.go, hosts_import.go   what clusters and pools share
//	provider_data.go                                 the configured provider
//	run_lock.go → engines.go                         engines of bootstrap
//	schema_*.go, validator_duration.go, file_private.go
package provider
