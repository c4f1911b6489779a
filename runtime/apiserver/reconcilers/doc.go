// Package reconcilers keeps the endpoints of the kubernetes Service: each API server
// holds a key in etcd that lives as long as it does, and all of them write the keys
// that live into the EndpointSlice and the Endpoints, as Kubernetes' lease endpoint
// reconciler does. It imports nothing of ours.
package reconcilers
