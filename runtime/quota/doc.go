// Package quota says what objects cost in the terms of a ResourceQuota, and which
// quotas they count against: pods, Services and claims by rules of their own,
// everything else by the number of objects. The API server charges by it, the
// controller adds up by it. Pure; it implements the evaluators of k8s.io/apiserver and
// imports runtime/pod.
//
// https://kubernetes.io/docs/concepts/policy/resource-quotas/
package quota
