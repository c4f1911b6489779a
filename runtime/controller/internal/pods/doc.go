// Package pods makes pods from templates, and ranks them by how little would be lost
// with each. Pure functions.
package pods
