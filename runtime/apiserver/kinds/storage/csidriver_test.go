package storage

import (
	"strings"
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

// TestADriverIsPrintedAsItsDefaultsSay: one that was kept without them prints the same.
func TestADriverIsPrintedAsItsDefaultsSay(t *testing.T) {
	row, obj := kindtest.Row(t, Kinds(), "apiVersion: storage.k8s.io/v1\nkind: CSIDriver\nmetadata: {name: d}\nspec: {}")
	bare := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "d"}}
	bare.Spec.VolumeLifecycleModes = obj.(*storagev1.CSIDriver).Spec.VolumeLifecycleModes
	now := time.Unix(0, 0)
	for i, want := range row.Cells(obj, now) {
		if got := row.Cells(bare, now)[i]; got != want {
			t.Errorf("%s is %v, with its defaults %v", row.Columns[i].Name, got, want)
		}
	}
}

// TestWhatADriverIsWarnedOf: an SELinux context, which no volume is mounted with.
func TestWhatADriverIsWarnedOf(t *testing.T) {
	row, obj := kindtest.Row(t, Kinds(), sampleDriver)
	d := obj.(*storagev1.CSIDriver)
	for _, tc := range []struct {
		set  *bool
		want string
	}{{nil, ""}, {ptr.To(false), ""}, {ptr.To(true), "spec.seLinuxMount: not supported"}} {
		d.Spec.SELinuxMount = tc.set
		if got := strings.Join(row.Warnings(d), "\n"); !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%v: warned is %q", tc.set, got)
		}
	}
}
