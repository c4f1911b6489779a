// Package controlplane has the phases of masters: what an earlier create left, the
// authorities, preflight, etcd membership one voter at a time, the processes of new
// masters, removal and wipe. The root package puts them in order. Files use those
// below them: join, remove, create, operation. It may import bootstrap/machine and
// what that is made of.
package controlplane
