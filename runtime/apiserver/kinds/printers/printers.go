package printers

import (
	"fmt"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// What stands in a cell without a value.
const (
	None    = "<none>"
	Unknown = "<unknown>"
	Unset   = "<unset>"
)

// Columns builds column definitions from names. A name that starts with "+" is
// shown only in wide output; then "#" makes it an integer, "?" a boolean and "@" a date.
// "Name" has the format by which kubectl finds an object's name, and so has what starts with "=".
func Columns(names ...string) []metav1.TableColumnDefinition {
	out := make([]metav1.TableColumnDefinition, len(names))
	for i, name := range names {
		c := metav1.TableColumnDefinition{Type: "string"}
		if rest, ok := strings.CutPrefix(name, "+"); ok {
			name, c.Priority = rest, 1
		}
		for mark, typ := range map[string]string{"#": "integer", "?": "boolean", "@": "date"} {
			if rest, ok := strings.CutPrefix(name, mark); ok {
				name, c.Type = rest, typ
				break
			}
		}
		name, named := strings.CutPrefix(name, "=")
		c.Name = name
		c.Description = describe(name)
		if named || name == "Name" && c.Priority == 0 {
			c.Format = "name"
		}
		out[i] = c
	}
	return out
}

func describe(name string) string {
	switch name {
	case "Name":
		return "Name of the object, unique among those of its kind in its namespace."
	case "Age":
		return "Time since the object was created."
	}
	return "The object's " + strings.ToLower(name) + "."
}

// Since prints how long before now t was, "<unknown>" where t is not set.
func Since(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return Unknown
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

// Age prints how long before now an object was created.
func Age(m metav1.ObjectMeta, now time.Time) string {
	return Since(m.CreationTimestamp, now)
}

// CreatedAt is the cell of the few kinds that print a time and no age.
func CreatedAt(m metav1.ObjectMeta) string {
	return m.CreationTimestamp.UTC().Format(time.RFC3339)
}

// OrNone is s, or "<none>" where it is empty.
func OrNone(s string) string {
	if s == "" {
		return None
	}
	return s
}

// Selector prints a label selector as kubectl takes it.
func Selector(s *metav1.LabelSelector) string {
	if s == nil {
		return None
	}
	return metav1.FormatLabelSelector(s)
}

// Labels prints labels, sorted by key.
func Labels(m map[string]string) string {
	if len(m) == 0 {
		return None
	}
	pairs := make([]string, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}

// Images prints names and images of containers, as two cells.
func Images(containers []corev1.Container) (names, refs string) {
	n, r := make([]string, len(containers)), make([]string, len(containers))
	for i, c := range containers {
		n[i], r[i] = c.Name, c.Image
	}
	return strings.Join(n, ","), strings.Join(r, ",")
}

// FirstOf joins at most max items and says how many more there are.
func FirstOf(items []string, max int) string {
	if len(items) == 0 {
		return None
	}
	if len(items) <= max {
		return strings.Join(items, ",")
	}
	return fmt.Sprintf("%s + %d more...", strings.Join(items[:max], ","), len(items)-max)
}

// OrUnknown is s, or "<unknown>" where it is empty.
func OrUnknown(s string) string {
	if s == "" {
		return Unknown
	}
	return s
}
