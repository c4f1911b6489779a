package admission

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// mayAllocate allows what is listed, as "verb subresource namespace/name".
type mayAllocate []string

func (m mayAllocate) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	asked := a.GetVerb() + " " + a.GetSubresource() + " " + a.GetNamespace() + "/" + a.GetName()
	for _, may := range m {
		if may == asked && a.GetResource() == "resourceclaims" {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "not in the list", nil
}

// claimWrite is a request of the status of a claim.
func claimWrite(t *testing.T, op admission.Operation, subresource, before, after string, template bool, u user.Info) (context.Context, admission.Attributes) {
	t.Helper()
	claim := func(text string) *resourcev1.ResourceClaim {
		c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "team"}}
		if err := yaml.UnmarshalStrict([]byte(text), c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var obj, old runtime.Object = claim(after), claim(before)
	resource := "resourceclaims"
	if template {
		resource = "resourceclaimtemplates"
		obj = &resourcev1.ResourceClaimTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}, Spec: resourcev1.ResourceClaimTemplateSpec{Spec: claim(after).Spec}}
	}
	verb := map[admission.Operation]string{admission.Create: "create", admission.Update: "update"}[op]
	ctx := request.WithUser(t.Context(), u)
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{IsResourceRequest: true, Verb: verb, APIGroup: "resource.k8s.io", APIVersion: "v1", Namespace: "team", Resource: resource, Subresource: subresource, Name: "c"})
	gvk := resourcev1.SchemeGroupVersion.WithKind("ResourceClaim")
	return ctx, admission.NewAttributesRecord(obj, old, gvk, "team", "c", resourcev1.SchemeGroupVersion.WithResource(resource), subresource, op, nil, false, u)
}

func TestWhoAllocatesDevices(t *testing.T) {
	const (
		admin  = "spec: {devices: {requests: [{name: a, firstAvailable: []}, {name: r, exactly: {deviceClassName: c, adminAccess: true}}]}}"
		normal = "spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c, adminAccess: false}}]}}"
		on     = "nodeSelector: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [w]}]}]}"
		result = "{request: r, driver: d, pool: p, device: a}"
		all    = "status: {allocation: {" + on + ", devices: {results: [" + result + "]}}"
		says   = ", devices: [{driver: d, pool: p, device: a}, {driver: e, pool: p, device: a}]"
		privy  = "status: {allocation: {devices: {results: [{request: r, driver: d, pool: p, device: a, adminAccess: true}]}}"
		bind   = "update binding /"
	)
	onNode := func(node string) user.Info {
		return &user.DefaultInfo{Name: "system:serviceaccount:team:driver", Extra: map[string][]string{"authentication.kubernetes.io/node-name": {node}}}
	}
	someone := &user.DefaultInfo{Name: "someone"}
	for name, test := range map[string]struct {
		op            admission.Operation
		subresource   string
		before, after string
		template      bool
		user          user.Info
		may           mayAllocate
		label         string
		want          string
	}{
		"a claim":                          {op: admission.Create, after: normal},
		"admin access":                     {op: admission.Create, after: admin, want: "spec.devices.requests[1].adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"},
		"where it is allowed":              {op: admission.Create, after: admin, label: "true"},
		"where it is not":                  {op: admission.Create, after: admin, label: "false", want: "admin access to devices requires"},
		"of a namespace that is not there": {op: admission.Create, after: admin, label: "gone", want: "could not retrieve namespace to verify admin access"},
		"in a template":                    {op: admission.Create, after: admin, template: true, want: "admin access to devices requires"},
		"template":                         {op: admission.Create, after: normal, template: true},
		"labels of an old claim":           {op: admission.Update, before: admin, after: admin},
		"no binding":                       {op: admission.Update, subresource: "status", after: all + "}", want: `status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="update" permission`},
		"binding":                          {op: admission.Update, subresource: "status", after: all + "}", may: mayAllocate{bind}},
		"binding in one namespace":         {op: admission.Update, subresource: "status", after: all + "}", may: mayAllocate{"update binding team/c"}, want: "resourceclaims/binding"},
		"reserving":                        {op: admission.Update, subresource: "status", before: all + "}", after: all + ", reservedFor: [{resource: pods, name: p, uid: u}]}", want: "resourceclaims/binding"},
		"admin access that is given":       {op: admission.Update, subresource: "status", after: privy + "}", may: mayAllocate{bind}, want: "status.allocation.devices.results[0].adminAccess: Forbidden: admin access to devices requires"},
		"that was given":                   {op: admission.Update, subresource: "status", before: privy + "}", after: privy + "}"},
		"a driver":                         {op: admission.Update, subresource: "status", before: all + "}", after: all + says + "}", may: mayAllocate{"arbitrary-node:update driver team/d", "arbitrary-node:update driver team/e"}},
		"of another driver":                {op: admission.Update, subresource: "status", before: all + "}", after: all + says + "}", may: mayAllocate{"arbitrary-node:update driver team/d"}, want: `status.devices: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[arbitrary-node:update]" permission`},
		"nothing new":                      {op: admission.Update, subresource: "status", before: all + says + "}", after: all + says + "}"},
		"something else":                   {op: admission.Update, subresource: "status", before: all + ", devices: [{driver: d, pool: p, device: a, data: {a: b}}]}", after: all + ", devices: [{driver: d, pool: p, device: a}]}", want: "resourceclaims/driver"},
		"nothing any more":                 {op: admission.Update, subresource: "status", before: all + says + "}", after: all + "}", may: mayAllocate{"arbitrary-node:update driver team/d"}, want: "resourceclaims/driver"},
		"given back":                       {op: admission.Update, subresource: "status", before: all + says + "}", after: "{}", may: mayAllocate{bind}},
		"on the node":                      {op: admission.Update, subresource: "status", before: all + "}", after: all + says + "}", user: onNode("w"), may: mayAllocate{"associated-node:update driver team/d", "associated-node:update driver team/e"}},
		"on the node, by the other verb":   {op: admission.Update, subresource: "status", before: all + "}", after: all + says + "}", user: onNode("w"), may: mayAllocate{"associated-node:update driver team/d", "arbitrary-node:update driver team/e"}},
		"on another node":                  {op: admission.Update, subresource: "status", before: all + "}", after: all + says + "}", user: onNode("v"), may: mayAllocate{"associated-node:update driver team/d", "associated-node:update driver team/e"}, want: `verb="[arbitrary-node:update]"`},
		"a user of that name":              {op: admission.Update, subresource: "status", before: all + "}", after: all + says + "}", user: &user.DefaultInfo{Name: "driver", Extra: onNode("w").GetExtra()}, may: mayAllocate{"associated-node:update driver team/d", "associated-node:update driver team/e"}, want: "resourceclaims/driver"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &ResourceClaimAuthorization{All: test.may, Namespace: func(_ context.Context, name string) (*corev1.Namespace, error) {
				return absent(name, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{resourcev1.DRAAdminNamespaceLabelKey: test.label}}}, name == "team" && test.label != "gone")
			}}
			if test.user == nil {
				test.user = someone
			}
			ctx, a := claimWrite(t, test.op, test.subresource, test.before, test.after, test.template, test.user)
			got := ""
			if err := p.Validate(ctx, a, nil); err != nil {
				got = err.Error()
			}
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	if p := (&ResourceClaimAuthorization{}); p.Handles(admission.Delete) || !p.Handles(admission.Create) || !p.Handles(admission.Update) {
		t.Error("writes are looked at, and no deletions")
	}
}

func TestNodesAndTheirSlices(t *testing.T) {
	of := func(node *string) *resourcev1.ResourceSlice {
		return &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: resourcev1.ResourceSliceSpec{NodeName: node}}
	}
	node := &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:nodes"}}
	for name, test := range map[string]struct {
		op       admission.Operation
		now, old *resourcev1.ResourceSlice
		want     string
	}{
		"its own":           {admission.Create, of(ptr.To("a")), nil, ""},
		"of another":        {admission.Create, of(ptr.To("b")), nil, "can only create ResourceSlice with the same NodeName as the requesting node"},
		"of all":            {admission.Create, of(nil), nil, "can only create"},
		"a change":          {admission.Update, of(ptr.To("b")), of(ptr.To("b")), ""},
		"the last":          {admission.Delete, nil, of(ptr.To("a")), ""},
		"another's last":    {admission.Delete, nil, of(ptr.To("b")), "can only delete ResourceSlice with the same NodeName as the requesting node"},
		"what is for all":   {admission.Delete, nil, of(nil), "can only delete"},
		"what is not there": {admission.Delete, nil, nil, "unexpected type"},
	} {
		var obj, old runtime.Object
		if test.now != nil {
			obj = test.now
		}
		if test.old != nil {
			old = test.old
		}
		a := admission.NewAttributesRecord(obj, old, resourcev1.SchemeGroupVersion.WithKind("ResourceSlice"), "", "s", resourcev1.SchemeGroupVersion.WithResource("resourceslices"), "", test.op, nil, false, node)
		got := ""
		if err := (&NodeRestriction{}).Validate(t.Context(), a, nil); err != nil {
			got = err.Error()
		}
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
