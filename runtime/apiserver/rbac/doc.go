// Package rbac decides by Roles and their bindings: the authorizer, the policy
// that every cluster starts with, the check that nobody hands out more than they
// have, and the aggregation of ClusterRoles. It imports nothing of ours; objects
// come to it through informers.
package rbac
