package core

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

const rolePrefix = "node-role.kubernetes.io/"

func node() kind.Kind {
	return kind.Kind{
		GVK:          corev1.SchemeGroupVersion.WithKind("Node"),
		Resource:     "nodes",
		NewHasStatus: true,
		ShortNames:   []string{"no"},
		Status:       true,
		Subresources: []kind.Subresource{{Name: "proxy", Served: kind.NodeProxy}},

		Default: kind.On(defaultNode),
		Drop: kind.On(func(n *corev1.Node) {
			n.Spec.PodPreemptionPolicy = nil // InPlacePodVerticalScalingSchedulerPreemption
			n.Spec.ConfigSource = nil        //nolint:staticcheck // clients may still send it
			n.Status.Config = nil
		}),
		PrepareForStatusUpdate: kind.OnUpdate(prepareNodeStatus),
		Declared:               kind.Declared(Validate_Node, "InPlacePodVerticalScalingSchedulerPreemption"),
		Validate:               kind.Check(validateNode),
		ValidateUpdate:         kind.CheckUpdate(validateNodeUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(func(n, _ *corev1.Node) field.ErrorList {
			return validateNodeStatus(&n.Status, field.NewPath("status"))
		}),

		Warnings: kind.Warnings(nodeWarnings),

		Columns: printers.Columns("Name", "Status", "Roles", "Age", "Version", "+Internal-IP", "+External-IP", "+OS-Image", "+Kernel-Version", "+Container-Runtime"),
		Cells:   kind.Cells(nodeCells),
		Fields: kind.Fields(func(n *corev1.Node) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(n.Spec.Unschedulable)}
		}),
	}
}

// defaultNode makes podCIDR and the first of podCIDRs agree, whichever was
// given, and allocatable capacity where only capacity was.
func defaultNode(n *corev1.Node) {
	s := &n.Spec
	switch {
	case s.PodCIDR == "" && len(s.PodCIDRs) > 0:
		s.PodCIDR = s.PodCIDRs[0]
	case s.PodCIDR != "" && (len(s.PodCIDRs) == 0 || s.PodCIDRs[0] != s.PodCIDR):
		s.PodCIDRs = []string{s.PodCIDR}
	}
	if n.Status.Allocatable == nil && n.Status.Capacity != nil {
		n.Status.Allocatable = n.Status.Capacity.DeepCopy()
	}
}

// prepareNodeStatus drops what kubelets of today do not report.
func prepareNodeStatus(n, old *corev1.Node) {
	if old.Status.Config == nil {
		n.Status.Config = nil
	}
	if old.Status.NodeInfo.RunningInUserNamespace == nil {
		n.Status.NodeInfo.RunningInUserNamespace = nil
	}
}

func validateNode(n *corev1.Node) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validateTaints(n.Spec.Taints, field.NewPath("metadata", "taints"))
	for i, cidr := range n.Spec.PodCIDRs {
		errs = append(errs, validate.CIDR(cidr, spec.Child("podCIDRs").Index(i))...)
	}
	if len(n.Spec.PodCIDRs) > 1 {
		dual, err := netutils.IsDualStackCIDRStrings(n.Spec.PodCIDRs)
		if err != nil {
			errs = append(errs, field.InternalError(spec.Child("podCIDRs"), fmt.Errorf("invalid PodCIDRs. failed to check with dual stack with error:%w", err)))
		}
		if !dual || len(n.Spec.PodCIDRs) > 2 {
			errs = append(errs, field.Invalid(spec.Child("podCIDRs"), n.Spec.PodCIDRs, "may specify no more than one CIDR for each IP family"))
		}
	}
	if s := n.Status.NodeInfo.Swap; s != nil && s.Capacity != nil {
		errs = append(errs, validate.Positive(*s.Capacity, field.NewPath("metadata", "nodeSwapStatus", "capacity"))...) // upstream's path
	}
	return append(errs, validateNodeStatus(&n.Status, field.NewPath("status"))...)
}

func validateNodeStatus(s *corev1.NodeStatus, path *field.Path) field.ErrorList {
	errs := amounts(s.Capacity, func(name string) *field.Path { return path.Child("capacity", name) })
	errs = append(errs, amounts(s.Allocatable, func(name string) *field.Path { return path.Child("allocatable", name) })...)
	seen := sets.New[corev1.NodeAddress]()
	for i, a := range s.Addresses {
		if seen.Has(a) {
			errs = append(errs, field.Duplicate(path.Child("addresses").Index(i), a))
		}
		seen.Insert(a)
	}
	return append(errs, validateFeatures(s.DeclaredFeatures, path.Child("declaredFeatures"))...)
}

// featureName is of segments in camel case that slashes join.
const featureName = `^[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*$`

// validateFeatures checks what a kubelet says that it can do: in order, and each once.
func validateFeatures(names []string, path *field.Path) field.ErrorList {
	if len(names) == 0 {
		return nil
	}
	var errs field.ErrorList
	valid := regexp.MustCompile(featureName)
	for i, n := range names {
		if len(n) > validation.DNS1123SubdomainMaxLength || !valid.MatchString(n) {
			errs = append(errs, field.Invalid(path.Index(i), n, "must be segments in UpperCamelCase that '/' joins, of no more than 253 characters"))
		}
		if i == 0 {
			continue
		}
		switch {
		case names[i-1] == n:
			errs = append(errs, field.Duplicate(path.Index(i), n))
		case names[i-1] > n:
			errs = append(errs, field.Invalid(path.Index(i), n, "list must be sorted alphabetically"))
		}
	}
	return errs
}

func validateTaints(ts []corev1.Taint, path *field.Path) field.ErrorList {
	type key struct {
		key    string
		effect corev1.TaintEffect
	}
	seen := sets.New[key]()
	var errs field.ErrorList
	for i, t := range ts {
		p := path.Index(i)
		errs = append(errs, validate.QualifiedName(t.Key, p.Child("key"))...)
		errs = append(errs, validate.InvalidIf(validation.IsValidLabelValue(t.Value), p.Child("value"), t.Value)...)
		errs = append(errs, validate.OneOf(t.Effect, p.Child("effect"),
			corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)...)
		k := key{t.Key, t.Effect}
		if seen.Has(k) {
			dup := field.Duplicate(p, t)
			dup.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, dup)
		}
		seen.Insert(k)
	}
	return errs
}

func validateNodeUpdate(n, old *corev1.Node) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if len(old.Spec.PodCIDRs) > 0 && !equality.Semantic.DeepEqual(n.Spec.PodCIDRs, old.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(spec.Child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid"))
	}
	if old.Spec.ProviderID != "" && n.Spec.ProviderID != old.Spec.ProviderID {
		done := "modified"
		if n.Spec.ProviderID == "" {
			done = "cleared"
		}
		errs = append(errs, field.Invalid(spec.Child("providerID"), nil, "field cannot be "+done+" once set"))
	}
	if n.Spec.DoNotUseExternalID != old.Spec.DoNotUseExternalID {
		errs = append(errs, field.Forbidden(spec.Child("externalID"), "may not be updated"))
	}
	return errs
}

func nodeWarnings(n *corev1.Node) []string {
	if n.Spec.DoNotUseExternalID != "" {
		return []string{"spec.externalID: this field is deprecated, and is unused by Kubernetes"}
	}
	return nil
}

func nodeCells(n *corev1.Node, now time.Time) []any {
	info := n.Status.NodeInfo
	kernel := printers.OrUnknown(info.KernelVersion)
	if info.Architecture != "" {
		kernel += " (" + info.Architecture + ")"
	}
	return []any{
		n.Name, nodeStatus(n), nodeRoles(n), printers.Age(n.ObjectMeta, now), info.KubeletVersion,
		nodeAddress(n, corev1.NodeInternalIP), nodeAddress(n, corev1.NodeExternalIP),
		printers.OrUnknown(info.OSImage), kernel, printers.OrUnknown(info.ContainerRuntimeVersion),
	}
}

func nodeStatus(n *corev1.Node) string {
	status := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status = "NotReady"
			if c.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if n.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

func nodeRoles(n *corev1.Node) string {
	roles := sets.New[string]()
	for k, v := range n.Labels {
		if role, ok := strings.CutPrefix(k, rolePrefix); ok && role != "" {
			roles.Insert(role)
		} else if k == "kubernetes.io/role" && v != "" {
			roles.Insert(v)
		}
	}
	names := roles.UnsortedList()
	sort.Strings(names)
	return printers.OrNone(strings.Join(names, ","))
}

func nodeAddress(n *corev1.Node, t corev1.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == t {
			return a.Address
		}
	}
	return printers.None
}
