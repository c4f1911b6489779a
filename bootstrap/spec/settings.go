package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/component-helpers/node/util/sysctl"
)

// Kubelet is what can be set of a node's kubelet. Zero values are its defaults.
type Kubelet struct {
	MaxPods int `json:"maxPods,omitempty"`
	// Reserved is kept from pods: cpu, memory, ephemeral-storage, as quantities.
	Reserved map[string]string `json:"reserved,omitempty"`
	// AllowedUnsafeSysctls are the names, or patterns such as net.core.*, of sysctls
	// that pods may set beside the safe ones.
	AllowedUnsafeSysctls []string `json:"allowedUnsafeSysctls,omitempty"`
	// RuntimeHandlers are the handlers that a RuntimeClass may name beside runc, with
	// containerd's name of the runtime behind each, such as io.containerd.kata.v2.
	RuntimeHandlers map[string]string `json:"runtimeHandlers,omitempty"`
	// ImagePullCredentialsVerification is one of [ImagePullCredentialsVerifications].
	ImagePullCredentialsVerification string `json:"imagePullCredentialsVerification,omitempty"`
	// Storage is what of the server is for the cluster's own volumes.
	Storage Storage `json:"storage,omitzero"`
}

// ImagePullCredentialsVerifications say for which images that a node has a pod shows
// credentials.
func ImagePullCredentialsVerifications() []string {
	return []string{"NeverVerify", "NeverVerifyPreloadedImages", "AlwaysVerify"}
}

// runtimePattern is containerd's name of a runtime: it starts containerd-shim-kata-v2 for
// io.containerd.kata.v2.
var runtimePattern = regexp.MustCompile(`^[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?)+\.v[0-9]+$`)

// ControllerManager is what can be set of the controller-manager. Zero values are
// its defaults.
type ControllerManager struct {
	// NodeMonitorGracePeriod is how long a node may miss its heartbeat.
	NodeMonitorGracePeriod time.Duration `json:"nodeMonitorGracePeriod,omitempty"`
	// TerminatedPodThreshold is how many finished pods are kept.
	TerminatedPodThreshold int `json:"terminatedPodThreshold,omitempty"`
}

// maxPods is what a node's /24 of the pod range has addresses for.
const maxPods = 250

func (k Kubelet) validate() error {
	var err error
	if k.MaxPods < 0 || k.MaxPods > maxPods {
		err = fmt.Errorf("kubelet: max_pods %d is not between 1 and %d: each node has a /24 of pod addresses", k.MaxPods, maxPods)
	}
	for name, v := range k.Reserved {
		if name != "cpu" && name != "memory" && name != "ephemeral-storage" {
			err = errors.Join(err, fmt.Errorf("kubelet: reserved: %q is none of cpu, memory, ephemeral-storage", name))
		}
		if q, parseErr := resource.ParseQuantity(v); parseErr != nil || q.Sign() < 0 {
			err = errors.Join(err, fmt.Errorf("kubelet: reserved: %s: %q is not a quantity such as 500m or 1Gi", name, v))
		}
	}
	for handler, runtime := range k.RuntimeHandlers {
		if why := validation.IsDNS1123Label(handler); len(why) > 0 {
			err = errors.Join(err, fmt.Errorf("kubelet: runtime_handlers: %q is no name of a handler: %s", handler, strings.Join(why, "; ")))
		}
		if handler == "runc" {
			err = errors.Join(err, errors.New("kubelet: runtime_handlers: runc is always there, and no other runtime"))
		}
		if !runtimePattern.MatchString(runtime) {
			err = errors.Join(err, fmt.Errorf("kubelet: runtime_handlers: %s: %q is no runtime of containerd such as io.containerd.kata.v2", handler, runtime))
		}
	}
	if v := k.ImagePullCredentialsVerification; v != "" && !slices.Contains(ImagePullCredentialsVerifications(), v) {
		err = errors.Join(err, fmt.Errorf("kubelet: image_pull_credentials_verification %q is none of %v", v, ImagePullCredentialsVerifications()))
	}
	for _, s := range k.AllowedUnsafeSysctls {
		err = errors.Join(err, validateSysctl(s))
	}
	return errors.Join(err, k.Storage.validate())
}

// Bounds of the lifetime of leaf certificates: the least is what a request for a
// certificate may ask for, and the most what a revocation is kept for.
const (
	MinCertificateLifetime = 10 * time.Minute
	MaxCertificateLifetime = 365 * 24 * time.Hour
)

func validateLifetime(d time.Duration) error {
	if d != 0 && (d < MinCertificateLifetime || d > MaxCertificateLifetime) {
		return fmt.Errorf("certificate_lifetime: %s is not between 10m and 8760h (a year)", d)
	}
	return nil
}

// sysctlPattern is a name of a sysctl, with dots or slashes. One that ends in a star is
// a pattern.
var sysctlPattern = regexp.MustCompile(`^[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*([./_]?\*)?$`)

// validateSysctl refuses a sysctl that is not each pod's own: it would be the server's.
func validateSysctl(s string) error {
	const maxLength = 253
	if len(s) > maxLength || !sysctlPattern.MatchString(s) {
		return fmt.Errorf("kubelet: allowed_unsafe_sysctls: %q is neither the name of a sysctl nor a pattern such as net.core.*", s)
	}
	if namespace, _, _ := sysctl.GetNamespace(s); namespace == sysctl.UnknownNamespace {
		return fmt.Errorf("kubelet: allowed_unsafe_sysctls: %q belongs to no namespace that a pod has of its own: it would be set for the whole server", s)
	}
	return nil
}

// minGracePeriod is two heartbeats: with less, a node that lives would be lost.
const minGracePeriod = 20 * time.Second

func (c ControllerManager) validate() error {
	var err error
	if p := c.NodeMonitorGracePeriod; p != 0 && p < minGracePeriod {
		err = fmt.Errorf("controller_manager: node_monitor_grace_period %s is too short: nodes report every 10 s, and %s is the least", p, minGracePeriod)
	}
	if c.TerminatedPodThreshold < 0 {
		err = errors.Join(err, fmt.Errorf("controller_manager: terminated_pod_threshold %d is negative", c.TerminatedPodThreshold))
	}
	return err
}
