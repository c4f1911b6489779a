package registry

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// tables prints objects as the row's columns say.
type tables struct{ kind kind.Kind }

func newTables(k kind.Kind) rest.TableConvertor {
	if k.Cells == nil {
		return rest.NewDefaultTableConvertor(schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource})
	}
	return tables{k}
}

func (t tables) ConvertToTable(_ context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{Rows: []metav1.TableRow{}}
	if o, ok := options.(*metav1.TableOptions); !ok || o == nil || !o.NoHeaders {
		table.ColumnDefinitions = t.kind.Columns
	}
	now := time.Now()
	row := func(o runtime.Object) error {
		table.Rows = append(table.Rows, metav1.TableRow{Cells: t.kind.Cells(o, now), Object: runtime.RawExtension{Object: o}})
		return nil
	}
	if !meta.IsListType(obj) {
		if m, err := meta.Accessor(obj); err == nil {
			table.ResourceVersion = m.GetResourceVersion()
		}
		return table, row(obj)
	}
	if m, err := meta.ListAccessor(obj); err == nil {
		table.ResourceVersion, table.Continue, table.RemainingItemCount = m.GetResourceVersion(), m.GetContinue(), m.GetRemainingItemCount()
	}
	return table, meta.EachListItem(obj, row)
}
