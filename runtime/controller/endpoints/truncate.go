package endpoints

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// capacity is how many addresses one object may hold.
const capacity = 1000

// truncate keeps as many addresses as an object may hold, the ready ones first, and of
// each subset a share by its size. It says whether there were more.
func truncate(in []corev1.EndpointSubset) (out []corev1.EndpointSubset, over bool) {
	var ready, waiting int
	for i := range in {
		ready += len(in[i].Addresses)
		waiting += len(in[i].NotReadyAddresses)
	}
	if ready+waiting <= capacity {
		return in, false
	}
	if ready > capacity {
		left := capacity
		for i := range in {
			in[i].Addresses = share(in[i].Addresses, ready, capacity, &left)
			in[i].NotReadyAddresses = nil
		}
		return nonEmpty(in), true
	}
	room := capacity - ready
	left := room
	for i := range in {
		in[i].NotReadyAddresses = share(in[i].NotReadyAddresses, waiting, room, &left)
	}
	return nonEmpty(in), true
}

// nonEmpty leaves out subsets that nothing is left of, which the API refuses.
func nonEmpty(in []corev1.EndpointSubset) []corev1.EndpointSubset {
	return slices.DeleteFunc(in, func(s corev1.EndpointSubset) bool { return len(s.Addresses)+len(s.NotReadyAddresses) == 0 })
}

// share is the part of the addresses that a subset has of room, of all there are; left is
// what the subsets before it have left. It is rounded up, at the cost of the last ones.
func share(list []corev1.EndpointAddress, all, room int, left *int) []corev1.EndpointAddress {
	n := int(math.Ceil(float64(len(list)) / float64(all) * float64(room)))
	n = min(n, *left, len(list))
	*left -= n
	return list[:n]
}
