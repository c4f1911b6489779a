// Package endpointslices keeps the EndpointSlices of every Service that has a
// selector. Slices are computed and packed by k8s.io/endpointslice, the library that
// upstream's controller is made of; what queues its keys is here.
package endpointslices
