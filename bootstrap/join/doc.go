// Package join takes masters into the replicated store and out of it: as a
// learner first, which votes only once it has caught up. It talks to etcd through
// a master's SSH connection. It may import bootstrap/host, bootstrap/pki
// and runtime/config.
package join
