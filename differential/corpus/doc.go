// Package corpus holds the objects that the differential run begins with, a folder of
// manifests by area, and changes one leaf of an object at a time, by the type that the
// OpenAPI schema of the kind gives it. All of it is a function of a seed. It imports
// nothing of ours.
package corpus
