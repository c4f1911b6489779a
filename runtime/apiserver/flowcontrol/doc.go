// Package flowcontrol sees to the flow schemas and priority levels that every cluster
// has, those of upstream and one of ours. Mandatory objects are always as they are
// shipped. Suggested ones are kept as shipped until an administrator changes their spec
// or sets the annotation apf.kubernetes.io/autoupdate-spec to false; deleted ones come
// back. It may import runtime/config.
package flowcontrol
