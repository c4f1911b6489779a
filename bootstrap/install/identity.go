package install

import (
	"fmt"
	"path"

	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// IdentityFile says which cluster a host belongs to. It is the first thing
// written and what a later run goes by.
const IdentityFile = config.ConfigDir + "/host.yaml"

// JoinedFile exists once the host was a working member.
const JoinedFile = config.JoinedFile

// KnownFile exists on a master once a later run came with the cluster's ID, and so
// proved that whoever created the cluster has kept it. Before, a create of the same
// cluster takes up the one that was cut, however far it had come: it makes nothing
// undone. After, the host is somebody's.
const KnownFile = config.KnownFile

// ModulesFile has systemd load the kernel modules at boot.
const ModulesFile = "/etc/modules-load.d/gantry.conf"

// Identity is the content of IdentityFile.
type Identity struct {
	ClusterID   string   `json:"clusterID"`
	ClusterName string   `json:"clusterName"`
	NodeName    string   `json:"nodeName"`
	Roles       []string `json:"roles"`
	Pool        string   `json:"pool,omitempty"`
	// Known is whether KnownFile is there.
	Known bool `json:"-"`
}

func identity(n spec.Node) Identity {
	id := Identity{ClusterID: n.ClusterID, ClusterName: n.ClusterName, NodeName: n.Host.Name, Pool: n.Pool, Roles: []string{"worker"}}
	if n.Master {
		id.Roles = []string{"master", "worker"}
	}
	return id
}

// ReadIdentity finds the identity among a host's files; nil when it has none.
func ReadIdentity(files map[string][]byte) (*Identity, error) {
	data, ok := files[IdentityFile]
	if !ok {
		return nil, nil
	}
	var id Identity
	if err := yaml.UnmarshalStrict(data, &id); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Base(IdentityFile), err)
	}
	_, id.Known = files[KnownFile]
	return &id, nil
}

// ForeignError is a host that belongs to another cluster or is another node.
type ForeignError struct {
	Host  string
	Found Identity
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s is already node %q of cluster %q (%s): take it out of that cluster first, or, if that cluster is gone, "+
		"wipe it (\"Wipe a server by hand\" in the guide \"Replace a failed master or worker\")", e.Host, e.Found.NodeName, e.Found.ClusterName, e.Found.ClusterID)
}

// Check refuses a host that is not, or not to be, this node.
func Check(hostName string, found *Identity, n spec.Node) error {
	if found == nil || (found.ClusterID == n.ClusterID && found.NodeName == n.Host.Name) {
		return nil
	}
	return &ForeignError{Host: hostName, Found: *found}
}
