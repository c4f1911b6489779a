package ledger

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"

	"sigs.k8s.io/yaml"
)

//go:embed fields/*.yaml
var files embed.FS

// Ledger has the entries by the name of their type, as [TypeName] gives it.
type Ledger map[string]Entry

// Entry is the answer for the fields of one type. A type is answered for once, wherever
// it is used.
type Entry struct {
	Type string `json:"type"`
	// Note tells what is common to all fields of the type.
	Note  string `json:"note,omitempty"`
	Rules []Rule `json:"rules"`
}

// Rule is the answer for some fields. One of Enforced, Refused, Warned, Dropped, Inert,
// Unwritten and Open is set.
type Rule struct {
	Fields []string `json:"fields"`
	// Value, where set, says that the rule is about these values of the fields only, which
	// have a rule for the others.
	Value string `json:"value,omitempty"`

	// Enforced is the file that acts on the fields, and Test a test of it, as
	// "path/of/package.TestName".
	Enforced string `json:"enforced,omitempty"`
	Test     string `json:"test,omitempty"`
	// Refused is the error that a client sees, or a part of it.
	Refused string `json:"refused,omitempty"`
	// Warned is the warning, or a part of it.
	Warned string `json:"warned,omitempty"`
	// Dropped is the feature gate that is off by default upstream too.
	Dropped string `json:"dropped,omitempty"`
	// Inert is the reason.
	Inert string `json:"inert,omitempty"`
	// Unwritten is why the cluster does not write a status that upstream writes.
	Unwritten string `json:"unwritten,omitempty"`
	// Open is what is missing of a field that is accepted and not acted upon: a gap.
	Open string `json:"open,omitempty"`

	// Send is what a test sends to see what Refused, Warned and Dropped say; a refusal
	// that comes later than the request (on the node, say) has a Test instead.
	Send *Sent  `json:"send,omitempty"`
	Note string `json:"note,omitempty"`
}

// Sent is a change of the sample of a kind, as a JSON merge patch.
type Sent struct {
	Kind  string          `json:"kind"`
	Patch json.RawMessage `json:"patch"`
}

// Load reads the ledger.
func Load() (Ledger, error) { return load(files) }

func load(from fs.FS) (Ledger, error) {
	names, err := fs.Glob(from, "fields/*.yaml")
	if err != nil {
		return nil, err
	}
	l := Ledger{}
	var errs []error
	for _, name := range names {
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		var entries []Entry
		if err := yaml.UnmarshalStrict(data, &entries); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, e := range entries {
			if _, twice := l[e.Type]; twice {
				errs = append(errs, fmt.Errorf("%s: %s is answered for twice", name, e.Type))
			}
			l[e.Type] = e
		}
	}
	return l, errors.Join(errs...)
}

// Class is the word for what becomes of the fields of a rule.
func (r Rule) Class() string {
	for _, c := range r.classes() {
		if c.set {
			return c.name
		}
	}
	return ""
}

type class struct {
	name string
	set  bool
}

func (r Rule) classes() []class {
	return []class{
		{"enforced", r.Enforced != ""}, {"refused", r.Refused != ""}, {"warned", r.Warned != ""},
		{"dropped", r.Dropped != ""}, {"inert", r.Inert != ""}, {"unwritten", r.Unwritten != ""}, {"open", r.Open != ""},
	}
}

// ends says that nothing below the fields of a rule is looked at: no value of them is
// acted upon.
func (r Rule) ends() bool {
	return r.Value == "" && slices.Contains([]string{"refused", "warned", "dropped"}, r.Class())
}

// ends says the same of one field.
func (l Ledger) ends(typeName, field string) bool {
	return slices.ContainsFunc(l[typeName].Rules, func(r Rule) bool { return r.ends() && slices.Contains(r.Fields, field) })
}

// Types are the types below roots, down to where the ledger says that nothing is acted
// upon.
func (l Ledger) Types(roots ...reflect.Type) []Type { return walkTypes(l.ends, roots...) }

// Entries are the entries in the order of their types.
func (l Ledger) Entries() []Entry {
	out := make([]Entry, 0, len(l))
	for _, e := range l {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Type, b.Type) })
	return out
}
