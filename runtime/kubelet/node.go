package kubelet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sort"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/gantry-run/gantry/runtime/config"
)

// Intervals of a node's reports.
const (
	heartbeat     = 10 * time.Second
	leaseDuration = 40 * time.Second
	fullReport    = 5 * time.Minute
	maxImages     = 50
)

// keepNode registers the node and keeps its lease and status until ctx is done.
func (k *Kubelet) keepNode(ctx context.Context) {
	var last *corev1.Node
	var reported time.Time
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	quick := 0 // a node that is not ready looks again soon
	for ctx.Err() == nil {
		var err error
		if last == nil {
			if last, err = k.register(ctx); err == nil {
				reported = time.Time{}
				k.mu.Lock()
				k.registered = true
				k.mu.Unlock()
				k.log.Info("the node is registered", "node", k.cfg.NodeName)
			}
		}
		if err == nil {
			var wrote bool
			if wrote, err = k.reportNode(ctx, &last, k.now().Sub(reported) >= fullReport); wrote {
				reported = k.now()
			}
		}
		if apierrors.IsNotFound(err) {
			last = nil // deleted: register again
		}
		if err == nil {
			err = k.renewLease(ctx)
		}
		wait := (<-chan time.Time)(nil)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				k.log.Warn("the node's state is not reported yet", "error", err)
			}
			wait = time.After(time.Second)
		case !readyIn(last.Status) && quick < 600:
			// A new node waits for its pod CIDR, which is there within a second.
			quick++
			wait = time.After(100 * time.Millisecond)
		default:
			quick = 0
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-k.nodeWake:
		case <-wait:
		}
	}
}

// register makes the Node, or brings the labels of an existing one up to date.
// Taints are set only once: later they are the operator's.
func (k *Kubelet) register(ctx context.Context) (*corev1.Node, error) {
	nodeLabels := map[string]string{
		corev1.LabelHostname: k.cfg.NodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: k.machine.arch,
	}
	maps.Copy(nodeLabels, k.cfg.NodeLabels)
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: k.cfg.NodeName, Labels: nodeLabels},
		Spec:       corev1.NodeSpec{Taints: k.cfg.RegisterTaints},
	}
	node.Status = k.nodeStatus(ctx, corev1.NodeStatus{})
	created, err := k.api.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err == nil {
		return created, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("register the node %s: %w", k.cfg.NodeName, err)
	}
	have, err := k.api.CoreV1().Nodes().Get(ctx, k.cfg.NodeName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the node %s: %w", k.cfg.NodeName, err)
	}
	missing := map[string]string{}
	for key, v := range nodeLabels {
		if have.Labels[key] != v {
			missing[key] = v
		}
	}
	if len(missing) == 0 {
		return have, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": missing}})
	if err != nil {
		return nil, err
	}
	have, err = k.api.CoreV1().Nodes().Patch(ctx, k.cfg.NodeName, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return nil, fmt.Errorf("label the node %s: %w", k.cfg.NodeName, err)
	}
	return have, nil
}

// reportNode writes the node's status when it changed, or when full.
func (k *Kubelet) reportNode(ctx context.Context, last **corev1.Node, full bool) (bool, error) {
	status := k.nodeStatus(ctx, (*last).Status)
	if !full && sameStatus((*last).Status, status) {
		return false, nil
	}
	old, err := json.Marshal(corev1.Node{Status: (*last).Status})
	if err != nil {
		return false, err
	}
	now, err := json.Marshal(corev1.Node{Status: status})
	if err != nil {
		return false, err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(old, now, corev1.Node{})
	if err != nil {
		return false, fmt.Errorf("compute the change of the node's status: %w", err)
	}
	node, err := k.api.CoreV1().Nodes().Patch(ctx, k.cfg.NodeName, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return false, fmt.Errorf("write the status of node %s: %w", k.cfg.NodeName, err)
	}
	*last = node
	return true, nil
}

// readyIn says whether the node is ready as the API was told last.
func readyIn(s corev1.NodeStatus) bool {
	for _, c := range s.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// sameStatus compares without the heartbeat times.
func sameStatus(a, b corev1.NodeStatus) bool {
	a, b = *a.DeepCopy(), *b.DeepCopy()
	for _, s := range []*corev1.NodeStatus{&a, &b} {
		for i := range s.Conditions {
			s.Conditions[i].LastHeartbeatTime = metav1.Time{}
		}
	}
	return equality.Semantic.DeepEqual(a, b)
}

func (k *Kubelet) nodeStatus(ctx context.Context, prev corev1.NodeStatus) corev1.NodeStatus {
	s := *prev.DeepCopy()
	s.Capacity, s.Allocatable = k.capacity(), k.allocatable()
	s.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: k.cfg.NodeIP}, {Type: corev1.NodeHostName, Address: k.machine.hostname}}
	s.DaemonEndpoints.KubeletEndpoint.Port = config.KubeletPort
	k.mu.Lock()
	runtimeVersion, runtimeErr := k.runtimeVersion, k.runtimeErr
	if runtimeErr != nil && runtimeVersion != "" && k.now().Sub(k.runtimeLost) < runtimeGrace {
		runtimeErr = nil
	}
	lost := k.runtimeErr != nil
	k.mu.Unlock()
	if runtimeVersion == "" {
		runtimeVersion = cmp.Or(prev.NodeInfo.ContainerRuntimeVersion, "containerd://unknown")
	}
	s.NodeInfo = corev1.NodeSystemInfo{
		MachineID: k.machine.machineID, SystemUUID: k.machine.systemUUID, BootID: k.machine.bootID,
		KernelVersion: k.machine.kernel, OSImage: k.machine.osImage, OperatingSystem: "linux", Architecture: k.machine.arch,
		ContainerRuntimeVersion: runtimeVersion, KubeletVersion: k.version,
	}
	if images, err := k.knownImages(ctx, lost); err == nil {
		s.Images = nil
		sort.Slice(images, func(i, j int) bool {
			if images[i].Size != images[j].Size {
				return images[i].Size > images[j].Size
			}
			return images[i].Name < images[j].Name
		})
		for _, img := range images[:min(len(images), maxImages)] {
			s.Images = append(s.Images, corev1.ContainerImage{Names: img.Names, SizeBytes: img.Size})
		}
	}
	ready, reason, message := true, "KubeletReady", "kubelet is posting ready status"
	if err := k.network.Ready(); err != nil {
		ready, reason, message = false, "KubeletNotReady", "pod network: "+err.Error()
	}
	if runtimeErr != nil {
		ready, reason, message = false, "KubeletNotReady", "container runtime: "+runtimeErr.Error()
	}
	if !ready && takesOver(prev, k.machine.bootID, k.now().Sub(k.born)) {
		ready, reason, message = true, "KubeletReady", "kubelet is taking over from the one before it"
	}
	memory, disk, pids := k.pressure()
	for _, c := range []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, memory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, disk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, pids, "KubeletHasInsufficientPID", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		{Type: corev1.NodeReady, Status: boolStatus(ready), Reason: reason, Message: message},
	} {
		setCondition(&s, c, metav1.NewTime(k.now()))
	}
	return s
}

// takesOver reports whether a kubelet of this age goes by what the one before it
// told of the node: a kubelet that is restarted has to find its runtime and its
// network first, and a node that says it is not ready for that moment has all its
// pods taken out of their Services. After a boot nothing runs that could go on.
func takesOver(prev corev1.NodeStatus, bootID string, age time.Duration) bool {
	return age < runtimeGrace && prev.NodeInfo.BootID == bootID && readyIn(prev)
}

// knownImages asks the image store, unless the runtime is away.
func (k *Kubelet) knownImages(ctx context.Context, lost bool) ([]Image, error) {
	if lost {
		return nil, errors.New("the container runtime is away")
	}
	return k.images.Images(ctx)
}

func condition(t corev1.NodeConditionType, pressure bool, bad, good, message string) corev1.NodeCondition {
	if pressure {
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: bad, Message: "the node is under pressure"}
	}
	return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: good, Message: message}
}

func boolStatus(b bool) corev1.ConditionStatus {
	if b {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

func setCondition(s *corev1.NodeStatus, c corev1.NodeCondition, now metav1.Time) {
	c.LastHeartbeatTime, c.LastTransitionTime = now, now
	for i := range s.Conditions {
		if s.Conditions[i].Type != c.Type {
			continue
		}
		if s.Conditions[i].Status == c.Status {
			c.LastTransitionTime = s.Conditions[i].LastTransitionTime
		}
		s.Conditions[i] = c
		return
	}
	s.Conditions = append(s.Conditions, c)
}

func (k *Kubelet) renewLease(ctx context.Context) error {
	leases := k.api.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NewMicroTime(k.now())
	seconds := int32(leaseDuration / time.Second)
	lease, err := leases.Get(ctx, k.cfg.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: k.cfg.NodeName, Namespace: corev1.NamespaceNodeLease},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &k.cfg.NodeName, LeaseDurationSeconds: &seconds, RenewTime: &now},
		}, metav1.CreateOptions{})
	} else if err == nil && (lease.Spec.RenewTime == nil || now.Sub(lease.Spec.RenewTime.Time) > heartbeat/2) {
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &k.cfg.NodeName, &seconds, &now
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if apierrors.IsNotFound(err) {
		// The namespace of leases is made when the cluster is: not yet.
		return fmt.Errorf("renew the node's lease: %s", err)
	}
	if err != nil {
		return fmt.Errorf("renew the node's lease: %w", err)
	}
	return nil
}

func (k *Kubelet) capacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(k.machine.cpus, resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(k.machine.memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(k.machine.disk, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(int64(k.cfg.MaxPods), resource.DecimalSI),
	}
}

// allocatable is the capacity less what is reserved for the server itself.
func (k *Kubelet) allocatable() corev1.ResourceList {
	out := k.capacity()
	for name, v := range k.machine.reserved {
		if q, ok := out[name]; ok {
			q.Sub(v)
			if q.Sign() < 0 {
				q = resource.Quantity{}
			}
			out[name] = q
		}
	}
	return out
}
