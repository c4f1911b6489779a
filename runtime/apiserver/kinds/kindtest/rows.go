package kindtest

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// listing is where a group's rows stand for a reader, beside its tests.
const listing = "testdata/rows.txt"

// rowsAreAsListed: what a kind is (how it is served, stored and printed) is a table that
// nobody changes unseen.
func rowsAreAsListed(t *testing.T, rows []kind.Kind) {
	var b strings.Builder
	for _, k := range rows {
		b.WriteString(describe(t, k))
	}
	want, err := os.ReadFile(listing)
	if err != nil {
		t.Error(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s has other rows than\n%s", listing, &b)
	}
}

// describe lists the settings of a row, a line each: those that are not zero, and of rules
// that there are some.
func describe(t *testing.T, k kind.Kind) string {
	t.Helper()
	var b strings.Builder
	var rules []string
	line := func(name string, values ...string) {
		if len(values) > 0 {
			fmt.Fprintf(&b, "  %s: %s\n", name, strings.Join(values, ", "))
		}
	}
	fmt.Fprintf(&b, "%s/%s %s\n", k.GVK.Group, k.GVK.Version, k.GVK.Kind)
	v := reflect.ValueOf(k)
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		if f.IsZero() || name == "GVK" {
			continue
		}
		switch x := f.Interface().(type) {
		case bool:
			fmt.Fprintf(&b, "  %s\n", name)
		case time.Duration:
			line(name, x.String())
		case []string:
			line(name, x...)
		case []kind.Version:
			for _, other := range x {
				line("Version", other.Name)
			}
		case []kind.Subresource:
			for _, s := range x {
				line("Subresource", fmt.Sprintf("%s (%s)", s.Name, s.Served))
			}
		case *kind.Alias:
			line("Alias of", x.Of.GroupVersion().String()+" "+x.Of.Kind)
		case []metav1.TableColumnDefinition:
			var columns []string
			for _, c := range x {
				text := c.Name
				if c.Priority > 0 {
					text += " (wide)"
				}
				columns = append(columns, text)
			}
			line("Columns", columns...)
		default:
			if f.Kind() == reflect.String {
				line(name, f.String())
			} else {
				rules = append(rules, name)
			}
		}
	}
	if k.Fields != nil {
		obj, err := clientgoscheme.Scheme.New(k.GVK)
		if err != nil {
			t.Fatal(err)
		}
		line("Selectable", slices.Sorted(maps.Keys(k.Fields(obj)))...)
	}
	line("Rules", rules...)
	return b.String()
}
