// Package inventory reads servers that are written down as text: the lists that the
// function parse_hosts takes, and the IDs of imports. It is pure, and imports
// bootstrap/spec alone.
//
// Calls run downward: hosts.go and import.go use login.go.
package inventory
