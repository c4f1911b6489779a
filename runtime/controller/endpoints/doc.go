// Package endpoints keeps the Endpoints of every Service that has a selector: the older
// form of its EndpointSlices, for clients that read no others. Nothing of the cluster
// itself does.
package endpoints
