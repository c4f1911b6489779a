// Package login turns the provider's blocks ssh and ssh_profiles into the
// configuration of the SSH client, and says by which of them a host is logged in to.
// It reads the files that the blocks name, so that what cannot be used is told before
// any host is contacted. It may import bootstrap/spec, bootstrap/ssh and
// provider/model.
//
// Calls run downward: login.go → block.go → jump.go, hostkey.go → secret.go.
package login
