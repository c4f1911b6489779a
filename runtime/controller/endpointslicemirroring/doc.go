// Package endpointslicemirroring keeps EndpointSlices of the Endpoints that somebody
// writes by hand for a Service without a selector, since Services forward by slices
// alone.
package endpointslicemirroring
