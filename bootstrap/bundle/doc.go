// Package bundle is what is installed on a server: one archive of our binary,
// containerd, its shim and runc, and the change that puts it there. The format
// is package archive. It may import bootstrap/host, bootstrap/step and
// runtime/config.
package bundle
