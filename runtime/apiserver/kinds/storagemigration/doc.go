// Package storagemigration holds the kinds of storagemigration.k8s.io.
package storagemigration
