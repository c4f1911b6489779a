// Package servicecidrs says of each ServiceCIDR that addresses may be given of it, and
// keeps one that is deleted until no address depends on it.
package servicecidrs
