// Package model holds the values of the HCL as terraform-plugin-framework reads and
// writes them, and converts them to and from bootstrap/spec and what bootstrap
// reports. A conversion contacts nobody; values that are not known yet are left out,
// and the caller is told so. All schemas are of version 0: no state needs upgrading.
// It may import bootstrap, its packages and provider/diagnose.
//
// Calls run downward: cluster.go, pool.go, imported.go → group.go → handle.go,
// host.go, status.go → settings.go, network.go → value.go. The models of data sources
// and kubeconfigs stand beside them on value.go.
package model
