// Package validate holds the validation rules that kinds of several groups share:
// names, immutability, label selectors, numbers, quantities and percentages. Each
// returns what is wrong at a path, worded as Kubernetes does. It may import
// runtime/pod.
package validate
