// Package access reaches a cluster through its masters: which of them speaks for it,
// the authorities that it holds, and clients of the API and of etcd through its SSH
// connection. Files use those below them: voters, access, first, dial. It may import
// bootstrap/fleet, bootstrap/install, bootstrap/join, bootstrap/pki, bootstrap/spec,
// runtime/client and runtime/config.
package access
