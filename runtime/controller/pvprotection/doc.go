// Package pvprotection keeps a PersistentVolume that is deleted while it is bound to a
// claim (finalizer kubernetes.io/pv-protection).
package pvprotection
