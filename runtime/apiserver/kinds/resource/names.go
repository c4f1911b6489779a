package resource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// declared are the rules that the tags of a type say. Those of the keys of a map come in the
// order of the map: they are sorted.
func declared[T runtime.Object](f func(ctx context.Context, op operation.Operation, path *field.Path, obj, old T) field.ErrorList) func(context.Context, operation.Operation, runtime.Object, runtime.Object) field.ErrorList {
	check := kind.Declared(f, "DRAPartitionableDevicesType") // a gate that upstream has off
	return func(ctx context.Context, op operation.Operation, obj, old runtime.Object) field.ErrorList {
		return sorted(check(ctx, op, obj, old))
	}
}

// fixed leaves out what is below a field that may not change: that it may not is all that there
// is to say.
func fixed(check func(context.Context, operation.Operation, runtime.Object, runtime.Object) field.ErrorList) func(context.Context, operation.Operation, runtime.Object, runtime.Object) field.ErrorList {
	return func(ctx context.Context, op operation.Operation, obj, old runtime.Object) field.ErrorList {
		errs := check(ctx, op, obj, old)
		below := func(e *field.Error) bool {
			return slices.ContainsFunc(errs, func(of *field.Error) bool {
				return of.Origin == "immutable" && strings.HasPrefix(e.Field, of.Field+".")
			})
		}
		var out field.ErrorList
		for _, e := range errs {
			if !below(e) {
				out = append(out, e)
			}
		}
		return out
	}
}

func sorted(errs field.ErrorList) field.ErrorList {
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// each checks the items of a list; of one that is too long none is looked at: that it is, is
// declared.
func each[T any](items []T, most int, path *field.Path, check func(item T, path *field.Path) field.ErrorList) field.ErrorList {
	if len(items) > most {
		return nil
	}
	var errs field.ErrorList
	for i, item := range items {
		errs = append(errs, check(item, path.Index(i))...)
	}
	return errs
}

// few refuses a list that is longer than what no tag declares.
func few[T any](items []T, most int, path *field.Path) field.ErrorList {
	if len(items) > most {
		return field.ErrorList{field.TooMany(path, len(items), most)}
	}
	return nil
}

func label(s string, path *field.Path) field.ErrorList {
	return validate.InvalidIf(validation.IsDNS1123Label(s), path, s)
}

func labelValue(s string, path *field.Path) field.ErrorList {
	return validate.InvalidIf(validation.IsValidLabelValue(s), path, s)
}

func nodeName(s string, path *field.Path) field.ErrorList {
	return validate.InvalidIf(validation.IsDNS1123Subdomain(s), path, s)
}

// poolName is DNS names, separated by slashes.
func poolName(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if len(s) > resourcev1.PoolNameMaxLength {
		errs = append(errs, field.TooLong(path, "", resourcev1.PoolNameMaxLength))
	}
	for part := range strings.SplitSeq(s, "/") {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(part), path, part)...)
	}
	return errs
}

// qualifiedName is that of an attribute or a capacity: an identifier, after a domain and a
// slash where it is not of the driver's own.
func qualifiedName(s string, path *field.Path) field.ErrorList {
	domain, id, qualified := strings.Cut(s, "/")
	if !qualified {
		return identifier(s, path)
	}
	if strings.Contains(id, "/") { // upstream looks at no more of these
		return nil
	}
	var errs field.ErrorList
	if domain == "" {
		errs = append(errs, field.Invalid(path, "", "the domain must not be empty"))
	} else {
		errs = append(errs, validate.CSIDriverName(domain, path)...)
	}
	if id == "" {
		return append(errs, field.Invalid(path, "", "the name must not be empty"))
	}
	return append(errs, identifier(id, path)...)
}

func identifier(s string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(s) > resourcev1.DeviceMaxIDLength {
		errs = append(errs, field.TooLong(path, "", resourcev1.DeviceMaxIDLength))
	}
	return append(errs, validate.InvalidIf(content.IsCIdentifier(s), path, s)...)
}

// requestNames are the requests of a claim, each with its alternatives.
type requestNames map[string]sets.Set[string]

func requestNamesOf(c *resourcev1.DeviceClaim) requestNames {
	names := requestNames{}
	for _, r := range c.Requests {
		names[r.Name] = sets.New[string]()
		for _, sub := range r.FirstAvailable {
			names[r.Name].Insert(sub.Name)
		}
	}
	return names
}

// reference checks what names a request, or with a slash one of its alternatives.
func (n requestNames) reference(name string, path *field.Path) field.ErrorList {
	const must = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
	parts := strings.Split(name, "/")
	if len(parts) > 2 {
		return field.ErrorList{field.Invalid(path, name, must)}
	}
	var errs field.ErrorList
	for _, part := range parts {
		errs = append(errs, label(part, path)...)
	}
	subs, known := n[parts[0]]
	if !known || len(parts) == 2 && !subs.Has(parts[1]) {
		errs = append(errs, field.Invalid(path, name, must))
	}
	return errs
}

func (n requestNames) references(names []string, path *field.Path) field.ErrorList {
	return each(names, resourcev1.DeviceRequestsMaxSize, path, n.reference)
}

// unsupported refuses a field that Kubernetes has and this cluster does not.
func unsupported(path *field.Path, reason string) *field.Error {
	return field.Forbidden(path, "not supported by this cluster: "+reason)
}

// braced lists fields of which one may be set.
func braced(names []string) string { return fmt.Sprintf("{%s}", strings.Join(names, ", ")) }
