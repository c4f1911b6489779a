package kind

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Storage names what serves a kind's objects, where that is more than reading and
// writing them by the row's rules. The registry has it, bound to its collaborators.
type Storage string

// The storages of objects.
const (
	// Generic reads and writes by the row's rules.
	Generic Storage = ""
	// FinalizedBySpec deletes in two steps: the object is marked, and goes when the
	// last of spec.finalizers does (namespaces).
	FinalizedBySpec Storage = "finalized by spec"
	// WithAddresses allocates cluster IPs and node ports with each write (services).
	WithAddresses Storage = "with addresses"
	// Components is no storage: an object is what the component of its name answers.
	Components Storage = "answers of components"
)

// Review names the question that objects of a kind are: they are created, answered
// in their status, and never stored. One is an order.
type Review string

// The reviews, and the order.
const (
	NoReview                 Review = ""
	TokenReview              Review = "whose token"
	SelfSubjectReview        Review = "who am I"
	SubjectAccessReview      Review = "may a user"
	LocalSubjectAccessReview Review = "may a user in a namespace"
	SelfSubjectAccessReview  Review = "may I"
	SelfSubjectRulesReview   Review = "what may I"
	Bindings                 Review = "bind a pod"
)

// Stored tells whether there are objects of the kind in the store.
func (k Kind) Stored() bool { return k.Review == NoReview && k.Storage != Components }

// Subresource is a path below that of an object, and what serves it.
type Subresource struct {
	Name   string // last segment of the path
	Served Serving
	// Prepare leaves of a write what the subresource is.
	Prepare func(obj, old runtime.Object)
	// Validate holds a write to rules of its own, in place of ValidateStatusUpdate.
	Validate func(obj, old runtime.Object) field.ErrorList
}

// Serving names what serves a subresource. The registry has it, bound to its
// collaborators.
type Serving string

// What serves the subresources other than status and scale, which have fields of
// their own in the row.
const (
	// Approval writes the conditions that approve or deny a signing request.
	Approval Serving = "approval"
	// Finalize writes spec.finalizers.
	Finalize Serving = "finalize"
	// EphemeralContainers adds containers to a running pod.
	EphemeralContainers Serving = "ephemeral containers"
	// PodResize changes the resources of a pod that runs.
	PodResize Serving = "resize"
	// PodBinding gives a pod its node, once.
	PodBinding Serving = "binding"
	// PodEviction deletes a pod if its disruption budget consents.
	PodEviction Serving = "eviction"
	// PodLog, PodExec, PodAttach and PodPortForward are streams from and to the
	// pod's kubelet.
	PodLog         Serving = "log"
	PodExec        Serving = "exec"
	PodAttach      Serving = "attach"
	PodPortForward Serving = "port forward"
	// PodProxy, ServiceProxy and NodeProxy carry HTTP to a port of the object.
	PodProxy     Serving = "pod proxy"
	ServiceProxy Serving = "service proxy"
	NodeProxy    Serving = "node proxy"
	// AccountToken issues a token of a service account.
	AccountToken Serving = "token"
)
