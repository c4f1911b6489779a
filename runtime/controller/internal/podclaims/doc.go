// Package podclaims finds the pods of a PersistentVolumeClaim in the cache that the
// controllers share.
package podclaims
