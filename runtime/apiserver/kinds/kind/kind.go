package kind

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Kind is one row of the table. Functions may be nil where a kind has no such
// rule. Objects are always of the row's Go type; functions that get old may not
// change it.
type Kind struct {
	GVK        schema.GroupVersionKind // the version that is stored, and served first
	Resource   string                  // plural, as in the path
	ShortNames []string
	Categories []string // "all"
	Namespaced bool

	// Versions are the other versions of the group in which objects are served. The
	// rules of the row are applied after conversion.
	Versions []Version

	// Storage serves the objects. Where Review is set instead they are not stored,
	// and nothing below but names applies.
	Storage Storage
	Review  Review
	// Alias, where set, says that the objects are stored as those of another kind.
	Alias *Alias
	// NoWatchCache leaves the kind out of the watch cache: reads and watches go to
	// etcd. A cache costs memory, and a timer every second, whether there are objects
	// or not; it is for kinds that are read more often than they are written.
	NoWatchCache bool
	// TTL is how long an object is kept after its last write; 0 is for ever.
	TTL time.Duration

	// Status says that status is a subresource: a write to the object leaves
	// status as it was, a write to status changes nothing but status and metadata.
	Status bool
	// StatusKeeps is what a write to status leaves of metadata as it was. Of most
	// kinds it is nothing: Kubernetes lets labels and the like change with status.
	StatusKeeps Metadata
	// Resets are the paths of fields, besides status, that a write to an object leaves as they
	// were: an apply never owns them.
	Resets []string
	// Scale, where set, serves the scale subresource.
	Scale *Scale
	// Subresources are the others.
	Subresources []Subresource

	// Generation says that metadata.generation is 1 of a new object and counts the writes
	// that change anything but metadata and status. Kinds without keep what a client sends.
	Generation bool
	// CountsDropped says that the count goes by what the client wrote, before PrepareForUpdate
	// took out what is off.
	CountsDropped bool
	// NewHasStatus says that a new object may bring its status (nodes).
	NewHasStatus bool
	// AnyFinalizer says that finalizers need neither be qualified nor known. Few kinds do.
	AnyFinalizer bool
	// ReturnsDeleted says that a delete is answered with the object, and not with a Status.
	ReturnsDeleted bool
	// Orphans says that a delete that does not say what becomes of dependents leaves them,
	// with this warning where there is one.
	Orphans       bool
	OrphanWarning string
	// NoDependents says that a delete does not ask what becomes of dependents (events).
	NoDependents bool

	// Default fills defaults, when an object is decoded and before it is stored.
	// It must be idempotent.
	Default func(obj runtime.Object)
	// DefaultTimes fills the times that default to now, with the other defaults: the client
	// that left one out owns it.
	DefaultTimes func(obj runtime.Object, now time.Time)
	// Drop takes fields of features that are off out of what a client wrote. The client owns
	// them all the same: who owns what is recorded before.
	Drop func(obj runtime.Object)
	// PrepareForCreate and PrepareForUpdate set what clients may not (generation
	// and status are reset by the registry already).
	PrepareForCreate       func(obj runtime.Object)
	PrepareForUpdate       func(obj, old runtime.Object)
	PrepareForStatusUpdate func(obj, old runtime.Object)
	// Stamp sets the times in status that its writer left out, after
	// PrepareForStatusUpdate and before validation.
	Stamp func(obj, old runtime.Object, now time.Time)
	// StampNew sets the times of a new object.
	StampNew func(obj runtime.Object, now time.Time)
	// StampUpdate sets those that the writer of an update left out, after PrepareForUpdate.
	StampUpdate func(obj, old runtime.Object, now time.Time)
	// SetRequester writes who creates the object into it, after PrepareForCreate.
	SetRequester func(obj runtime.Object, by Requester)

	// Validate checks an object on create, and on update before ValidateUpdate.
	// Object metadata is validated by the registry, with ValidateName.
	Validate             func(obj runtime.Object) field.ErrorList
	ValidateCreate       func(obj runtime.Object) field.ErrorList // what only a new object is held to
	ValidateUpdate       func(obj, old runtime.Object) field.ErrorList
	ValidateStatusUpdate func(obj, old runtime.Object) field.ErrorList
	// ValidateAddresses checks what addresses an object asks for before it is given any; of
	// the rest its writer is told once there are some. old is nil on create.
	ValidateAddresses func(obj, old runtime.Object) field.ErrorList
	// Unsupported are the parts of an object that the API has and the cluster does not do;
	// they are refused. An update may keep those that the old object has, so that what an
	// earlier release accepted can still be changed and removed.
	Unsupported func(obj runtime.Object) field.ErrorList
	// Declared checks what the tags of the published type declare, on each of these
	// writes; old is nil on create.
	Declared func(ctx context.Context, op operation.Operation, obj, old runtime.Object) field.ErrorList
	// Expressions are the CEL expressions of an object, variables before those that use
	// them. Those that do not compile are refused.
	Expressions func(obj runtime.Object) []Expression
	// ValidateName reports what is wrong with a name; prefix is true for a
	// generateName. Nil takes the DNS subdomain rule.
	ValidateName func(name string, prefix bool) []string
	// NamesAsGiven says that a generateName is the name: with anything added it would be none.
	NamesAsGiven bool
	// Warnings are sent to the client with a create or update that succeeds.
	Warnings func(obj runtime.Object) []string
	// WarnsOnChange says that an update is warned of where it changes more than metadata and
	// status: what its author has not touched was told before.
	WarnsOnChange bool
	// WarningsOnCreate are those that only a new object gets.
	WarningsOnCreate func(obj runtime.Object) []string
	// WarningsOnUpdate are those of what an update changes.
	WarningsOnUpdate func(obj, old runtime.Object) []string
	// StatusWarnings are sent with a write to status that succeeds.
	StatusWarnings func(obj runtime.Object) []string

	// GracePeriod returns the seconds between a delete and the object's removal,
	// given the client's wish (nil: none); ok is false for kinds that are removed
	// at once.
	GracePeriod func(obj runtime.Object, wish *int64) (seconds int64, ok bool)

	// Columns and Cells are what kubectl get prints: one cell per column. A nil
	// Cells gives name and creation time.
	Columns []metav1.TableColumnDefinition
	Cells   func(obj runtime.Object, now time.Time) []any

	// Fields are selectable besides metadata.name and metadata.namespace. The keys
	// must be the same for every object of the kind, in each version.
	Fields func(obj runtime.Object) fields.Set
	// IndexField is one of Fields by which watches are looked up without going
	// through all objects ("spec.nodeName" of pods).
	IndexField string

	// CreateOnUpdate: a PUT to a name that does not exist creates it (leases,
	// events, endpoints, RBAC …).
	CreateOnUpdate bool
	// RequireResourceVersion: an update without resourceVersion is refused.
	RequireResourceVersion bool
}

// Metadata names a part of an object's metadata by its path.
type Metadata string

// The parts that writes to some kinds' status leave alone.
const (
	NoMetadata Metadata = ""
	// AllMetadata is all that clients may set.
	AllMetadata     Metadata = "metadata"
	Labels          Metadata = "metadata.labels"
	OwnerReferences Metadata = "metadata.ownerReferences"
)

// Scale maps a kind to its autoscaling/v1 Scale.
type Scale struct {
	Replicas    func(obj runtime.Object) (spec, status int32)
	SetReplicas func(obj runtime.Object, n int32)
	// Selector is the label selector of the kind's pods, serialized.
	Selector func(obj runtime.Object) string
}

// Requester is the user of a request.
type Requester struct {
	Username, UID string
	Groups        []string
	Extra         map[string][]string
}
