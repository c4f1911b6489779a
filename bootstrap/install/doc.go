// Package install renders everything a node needs (credentials, configuration of
// each process, units) and orders it into steps. It is pure: what is on the host
// comes in, steps go out. It may import bootstrap's spec, pki, bundle, host, step
// and runtime/config.
package install
