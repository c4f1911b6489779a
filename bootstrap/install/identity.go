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

// JoinedFile exists once the host was a working member: before, a run that was
// cut may be taken up; after, the host is somebody's.
const JoinedFile = config.BootstrapDir + "/joined"

// ModulesFile has systemd load the kernel modules at boot.
const ModulesFile = "/etc/modules-load.d/gantry.conf"

// Identity is the content of IdentityFile.
type Identity struct {
	ClusterID   string   `json:"clusterID"`
	ClusterName string   `json:"clusterName"`
	NodeName    string   `json:"nodeName"`
	Roles       []string `json:"roles"`
	Pool        string   `json:"pool,omitempty"`
	// Joined is whether JoinedFile is there.
	Joined bool `json:"-"`
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
	_, id.Joined = files[JoinedFile]
	return &id, nil
}

// ForeignError is a host that belongs to another cluster or is another node.
type ForeignError struct {
	Host  string
	Found Identity
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s is already node %q of cluster %q (%s): take it out of that cluster first, or, if that cluster is gone, "+
		"wipe it by removing /etc/gantry, /var/lib/gantry and the gantry-*.service units", e.Host, e.Found.NodeName, e.Found.ClusterName, e.Found.ClusterID)
}

// Check refuses a host that is not, or not to be, this node.
func Check(hostName string, found *Identity, n spec.Node) error {
	if found == nil || (found.ClusterID == n.ClusterID && found.NodeName == n.Host.Name) {
		return nil
	}
	return &ForeignError{Host: hostName, Found: *found}
}
