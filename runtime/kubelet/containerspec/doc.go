// Package containerspec makes the container runtime's description of a container from
// its pod: command and environment, mounts, security, resources, namespaces. It may
// import the kubelet's packages container, fieldpath, poddir and podfiles.
package containerspec
