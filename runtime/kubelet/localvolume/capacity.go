package localvolume

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Capacity is how many bytes volumes may have together at a path, which need not be there
// yet: the size of the file system, less what is reserved of it, a percentage ("20%") or a
// quantity.
func Capacity(path, reserve string) (int64, error) {
	var st unix.Statfs_t
	for at := path; ; at = filepath.Dir(at) {
		err := unix.Statfs(at, &st)
		if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read the size of the file system of %s: %w", at, err)
		}
		break
	}
	size := int64(st.Blocks) * st.Bsize //nolint:unconvert // the type of Blocks differs between architectures
	reserved, err := Reserved(size, reserve)
	return max(size-reserved, 0), err
}

// Reserved is how much of a size is reserved.
func Reserved(size int64, reserve string) (int64, error) {
	if percent, ok := strings.CutSuffix(reserve, "%"); ok {
		n, err := strconv.ParseInt(percent, 10, 64)
		if err != nil || n < 0 || n > 100 {
			return 0, fmt.Errorf("%q of storage is no percentage: 0%% to 100%%", reserve)
		}
		return size / 100 * n, nil
	}
	q, err := resource.ParseQuantity(reserve)
	if err != nil || q.Sign() < 0 {
		return 0, fmt.Errorf("%q of storage is neither a percentage (20%%) nor a quantity (50Gi)", reserve)
	}
	return q.Value(), nil
}
