// Package join is the membership of etcd: a master joins it as a learner first, which
// votes only once it has caught up, and leaves it only when the voters that stay are
// a quorum. It talks to etcd through a master's SSH connection. Files use those below
// them: changes, join, members, quorum, client. It may import bootstrap/host,
// bootstrap/pki, bootstrap/step and runtime/config.
package join
