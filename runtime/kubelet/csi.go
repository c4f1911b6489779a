package kubelet

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/csi"
	"github.com/gantry-run/gantry/runtime/kubelet/mount"
	"github.com/gantry-run/gantry/runtime/kubelet/volume"
)

// makeCSI makes what has the volumes of CSI drivers mounted. It watches the node, in the
// status of which others say what is attached to it.
func (k *Kubelet) makeCSI(nodes coreinformers.NodeInformer) {
	k.drivers = csi.NewDrivers(csi.DriversConfig{API: k.api, NodeName: k.cfg.NodeName, Log: k.log})
	k.csi = csi.New(csi.Config{
		API: k.api, NodeName: k.cfg.NodeName, Layout: k.layout, Shared: config.SharedKubeletDir, Mounts: mount.Table{},
		Secrets: k.refs, Tokens: k.tokens, SetGroup: volume.SetGroup,
		Node:        func() (*corev1.Node, error) { return nodes.Lister().Get(k.cfg.NodeName) },
		NodeChanged: func() { k.node.Wake() }, Events: k.recorder(), Now: time.Now, Log: k.log,
	}, k.drivers)
	seen := func(n *corev1.Node) {
		if n.Name == k.cfg.NodeName {
			k.drivers.NodeSeen(n)
			k.csi.NodeSeen(n)
		}
	}
	client.Watch(nodes.Informer(), seen, func(_, n *corev1.Node) { seen(n) }, nil)
}

// driverUsage is what a volume of a driver takes, as its driver tells it.
func (k *Kubelet) driverUsage(ctx context.Context, uid, name string) (statsapi.FsStats, bool) {
	u, ok := k.csi.Usage(ctx, csi.Dir(k.layout, uid, name))
	return statsapi.FsStats{
		CapacityBytes: u.CapacityBytes, UsedBytes: u.UsedBytes, AvailableBytes: u.AvailableBytes,
		Inodes: u.Inodes, InodesUsed: u.InodesUsed, InodesFree: u.InodesFree,
	}, ok
}
