package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/utils/ptr"
)

// ResourceClaimAuthorization says who may ask for the devices of others, who may allocate,
// and who may tell of allocated devices. Upstream asks it where claims are stored.
type ResourceClaimAuthorization struct {
	All       authorizer.UnconditionalAuthorizer
	Namespace func(ctx context.Context, name string) (*corev1.Namespace, error)
}

var _ admission.ValidationInterface = &ResourceClaimAuthorization{}

// Handles says that writes are looked at.
func (*ResourceClaimAuthorization) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate checks one write. The spec of a claim does not change, so that only a new one is
// looked at.
func (p *ResourceClaimAuthorization) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	kind, name := schema.GroupKind{Group: resourcev1.GroupName, Kind: a.GetKind().Kind}, a.GetName()
	var errs field.ErrorList
	switch now := a.GetObject().(type) {
	case *resourcev1.ResourceClaim:
		switch {
		case a.GetOperation() == admission.Create:
			errs = p.adminAccess(ctx, now.Spec.Devices.Requests, now.Namespace)
		case a.GetSubresource() == "status":
			old, ok := a.GetOldObject().(*resourcev1.ResourceClaim)
			if !ok {
				return admission.NewForbidden(a, fmt.Errorf("expected type ResourceClaim, got: %T", a.GetOldObject()))
			}
			errs = p.status(ctx, &now.Status, &old.Status, now.Namespace)
		}
	case *resourcev1.ResourceClaimTemplate:
		if a.GetOperation() == admission.Create {
			errs = p.adminAccess(ctx, now.Spec.Spec.Devices.Requests, now.Namespace)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(kind, name, errs)
}

// adminAccess is for claims of namespaces that say so: they take what others have.
func (p *ResourceClaimAuthorization) adminAccess(ctx context.Context, requests []resourcev1.DeviceRequest, namespace string) field.ErrorList {
	i := slices.IndexFunc(requests, func(r resourcev1.DeviceRequest) bool {
		return r.Exactly != nil && ptr.Deref(r.Exactly.AdminAccess, false)
	})
	if i < 0 {
		return nil
	}
	return p.adminNamespace(ctx, namespace, field.NewPath("spec", "devices", "requests").Index(i).Child("adminAccess"))
}

func (p *ResourceClaimAuthorization) adminNamespace(ctx context.Context, name string, path *field.Path) field.ErrorList {
	ns, err := p.Namespace(ctx, name)
	if err != nil {
		return field.ErrorList{field.InternalError(path, fmt.Errorf("could not retrieve namespace to verify admin access: %w", err))}
	}
	if ns.Labels[resourcev1.DRAAdminNamespaceLabelKey] != "true" {
		return field.ErrorList{field.Forbidden(path, fmt.Sprintf("admin access to devices requires the `%s: true` label on the containing namespace", resourcev1.DRAAdminNamespaceLabelKey))}
	}
	return nil
}

func (p *ResourceClaimAuthorization) status(ctx context.Context, now, old *resourcev1.ResourceClaimStatus, namespace string) field.ErrorList {
	var errs field.ErrorList
	if i := adminResult(now.Allocation); i >= 0 && adminResult(old.Allocation) < 0 {
		errs = p.adminNamespace(ctx, namespace, field.NewPath("status", "allocation", "devices", "results").Index(i).Child("adminAccess"))
	}
	allocation, devices := field.NewPath("status", "allocation"), field.NewPath("status", "devices")
	attrs, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return append(errs, field.InternalError(allocation, fmt.Errorf("cannot build authorizer attributes: %w", err)))
	}
	if !equality.Semantic.DeepEqual(now.Allocation, old.Allocation) || !equality.Semantic.DeepEqual(now.ReservedFor, old.ReservedFor) {
		verb := attrs.GetVerb()
		if err := p.may(ctx, part{attrs, verb, resourcev1.SubresourceBinding, "", ""}); err != nil {
			errs = append(errs, field.Forbidden(allocation, fmt.Sprintf(`changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="%s" permission: %s`, verb, err)))
		}
	}
	if now.Allocation == nil { // what is said of devices goes with them
		return errs
	}
	verbs := []string{resourcev1.VerbPrefixArbitraryNode + attrs.GetVerb()}
	if runsOn(attrs.GetUser(), allocatedNode(now.Allocation)) {
		verbs = slices.Insert(verbs, 0, resourcev1.VerbPrefixAssociatedNode+attrs.GetVerb())
	}
	for _, driver := range changedDrivers(now.Devices, old.Devices) {
		if err := p.mayForDriver(ctx, attrs, verbs, driver); err != nil {
			errs = append(errs, field.Forbidden(devices, fmt.Sprintf(`changing status.devices requires resource="resourceclaims/driver", verb="%s" permission: %s`, verbs, err)))
		}
	}
	return errs
}

func adminResult(a *resourcev1.AllocationResult) int {
	if a == nil {
		return -1
	}
	return slices.IndexFunc(a.Devices.Results, func(r resourcev1.DeviceRequestAllocationResult) bool { return ptr.Deref(r.AdminAccess, false) })
}

// mayForDriver wants one of the verbs; the first refusal is told.
func (p *ResourceClaimAuthorization) mayForDriver(ctx context.Context, attrs authorizer.Attributes, verbs []string, driver string) error {
	var first error
	for _, verb := range verbs {
		err := p.may(ctx, part{attrs, verb, resourcev1.SubresourceDriver, attrs.GetNamespace(), driver})
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (p *ResourceClaimAuthorization) may(ctx context.Context, of part) error {
	decision, reason, err := p.All.Authorize(ctx, of)
	if decision == authorizer.DecisionAllow { // an error may have come on the way to it
		return nil
	}
	switch {
	case err != nil && reason != "":
		reason = fmt.Sprintf("%v: %s", err, reason)
	case err != nil:
		reason = err.Error()
	}
	refused := responsewriters.ForbiddenStatusError(of, reason)
	if refused == nil {
		return errors.New(reason)
	}
	return refused
}

// part is a request, asked about as one of a part of the status that no path serves.
type part struct {
	authorizer.Attributes
	verb, subresource, namespace, name string
}

func (p part) GetVerb() string        { return p.verb }
func (p part) GetSubresource() string { return p.subresource }
func (p part) GetNamespace() string   { return p.namespace }
func (p part) GetName() string        { return p.name }

// changedDrivers are those of entries that are new, other than before, or gone.
func changedDrivers(now, old []resourcev1.AllocatedDeviceStatus) []string {
	type key struct{ driver, pool, device, share string }
	of := func(d resourcev1.AllocatedDeviceStatus) key {
		return key{d.Driver, d.Pool, d.Device, ptr.Deref(d.ShareID, "")}
	}
	was := map[key]resourcev1.AllocatedDeviceStatus{}
	for _, d := range old {
		was[of(d)] = d
	}
	drivers := sets.New[string]()
	for _, d := range now {
		before, had := was[of(d)]
		delete(was, of(d))
		if !had || !equality.Semantic.DeepEqual(before, d) {
			drivers.Insert(d.Driver)
		}
	}
	for _, d := range was {
		drivers.Insert(d.Driver)
	}
	return sets.List(drivers)
}

// allocatedNode is the node of devices that one node only has; empty of others.
func allocatedNode(a *resourcev1.AllocationResult) string {
	if a.NodeSelector == nil || len(a.NodeSelector.NodeSelectorTerms) != 1 {
		return ""
	}
	term := a.NodeSelector.NodeSelectorTerms[0]
	if len(term.MatchExpressions) != 0 || len(term.MatchFields) != 1 {
		return ""
	}
	f := term.MatchFields[0]
	if f.Key != metav1.ObjectNameField || f.Operator != corev1.NodeSelectorOpIn || len(f.Values) != 1 {
		return ""
	}
	return f.Values[0]
}

// runsOn says that a user is the service account of a pod on a node.
func runsOn(u user.Info, node string) bool {
	if _, _, err := serviceaccount.SplitUsername(u.GetName()); err != nil || node == "" {
		return false
	}
	names := u.GetExtra()[serviceaccount.NodeNameKey]
	return len(names) == 1 && len(validation.IsDNS1123Subdomain(names[0])) == 0 && names[0] == node
}

// resourceSlice lets a node make and remove what describes its own devices. Which others it
// may write, the node authorizer has decided.
func (n nodeRequest) resourceSlice() error {
	obj, verb := n.GetObject(), "create"
	switch n.GetOperation() {
	case admission.Create:
	case admission.Delete:
		obj, verb = n.GetOldObject(), "delete"
	default:
		return nil
	}
	s, ok := obj.(*resourcev1.ResourceSlice)
	if !ok {
		return n.forbid("unexpected type %T", obj)
	}
	if ptr.Deref(s.Spec.NodeName, "") != n.name {
		return n.forbid("can only %s ResourceSlice with the same NodeName as the requesting node", verb)
	}
	return nil
}
