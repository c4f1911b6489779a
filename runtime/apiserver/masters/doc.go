// Package masters keeps the list of API servers: each holds a key in etcd that
// lives as long as it does, and all write the keys that live into the endpoints
// of the kubernetes Service. It imports nothing of ours.
package masters
