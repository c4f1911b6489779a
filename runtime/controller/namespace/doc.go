// Package namespace empties namespaces that are being deleted and then lets them go.
// What there is to delete is asked of discovery each time, so that custom resources
// are included.
package namespace
