package images

import (
	"path/filepath"
	"testing"

	"github.com/gantry-run/gantry/runtime/durable/crashtest"
)

// TestRecordsSurviveCrashes: once a pull has begun, the image may be in the store after
// any crash, and counts as pulled by this node; who may use it is known, or nobody is.
func TestRecordsSurviveCrashes(t *testing.T) {
	const name, id = "registry.example/app:1", "sha256:1"
	dir := t.TempDir()
	disk := crashtest.New(dir)
	r := &Records{Dir: filepath.Join(dir, "image-pulls"), Disk: disk}
	secret := origin{Namespace: "n", Name: "s", UID: "u", Hash: "h"}
	if err := r.begin(name); err != nil {
		t.Fatal(err)
	}
	disk.Mark() // the image may be there from now on
	if err := r.allow(id, false, secret); err != nil {
		t.Fatal(err)
	}
	disk.Mark() // and pods with the credential may use it
	r.end(name)
	if err := r.allow(id, true); err != nil {
		t.Fatal(err)
	}
	disk.Mark() // and everybody
	for crash, err := range disk.Crashes(t.TempDir()) {
		if err != nil {
			t.Fatal(err)
		}
		found := &Records{Dir: filepath.Join(crash.Dir, "image-pulls")}
		record, byThisNode, err := found.get(name, id)
		if err != nil {
			t.Errorf("%v: %v", crash, err)
			continue
		}
		if crash.Marks >= 1 && !byThisNode {
			t.Errorf("%v: the image counts as one that was there before", crash)
		}
		if crash.Marks >= 2 && (record == nil || len(record.Secrets) != 1 || record.Secrets[0] != secret) {
			t.Errorf("%v: who may use it is %+v", crash, record)
		}
		if crash.Marks < 2 && record != nil && record.Everybody || crash.Marks == 3 && !record.Everybody {
			t.Errorf("%v: who may use it is %+v", crash, record)
		}
	}
}

// TestWhatIsOnRecordIsNotWrittenAgain: a pod that is pulled for at each start costs no
// write each time.
func TestWhatIsOnRecordIsNotWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	disk := &counting{Disk: crashtest.New(dir)}
	r := &Records{Dir: dir, Disk: disk}
	for range 3 {
		if err := r.allow("sha256:1", true); err != nil {
			t.Fatal(err)
		}
	}
	if disk.renames != 1 {
		t.Errorf("the same was written %d times", disk.renames)
	}
	if err := r.allow("sha256:1", true, origin{UID: "u"}); err != nil || disk.renames != 2 {
		t.Errorf("what is new was written %d times (%v)", disk.renames-1, err)
	}
}

type counting struct {
	*crashtest.Disk
	renames int
}

func (c *counting) Rename(from, to string) error {
	c.renames++
	return c.Disk.Rename(from, to)
}
