// Package preflight judges whether servers that are new can become nodes: from
// what was read of them, all preflight checks that each fails are found at once, before
// anything is changed. It is pure: it asks nobody. Files use those below them:
// preflight, alone, storage, subject. It may import bootstrap/host, bootstrap/install,
// bootstrap/spec and runtime/config.
package preflight
