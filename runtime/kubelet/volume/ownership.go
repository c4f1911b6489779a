package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	corev1 "k8s.io/api/core/v1"
)

// The bits that the group of a volume gets: of everything, and of directories besides.
const (
	groupBits    fs.FileMode = 0o660
	groupDirBits fs.FileMode = 0o110
)

// SetGroup gives what lies in a volume to a group, which may write it. Containers of
// another pod may change it meanwhile, so nothing outside of it is reached by any path.
func SetGroup(volume *os.File, group int, policy corev1.PodFSGroupChangePolicy) error {
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", volume.Fd()))
	if err != nil {
		return err
	}
	defer root.Close()
	if policy == corev1.FSGroupChangeOnRootMismatch {
		info, err := root.Stat(".")
		if err != nil {
			return err
		}
		if groupOf(info) == group && info.Mode()|groupBits|groupDirBits|fs.ModeSetgid == info.Mode() {
			return nil
		}
	}
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = setGroupOf(root, path, group)
		}
		if errors.Is(err, fs.ErrNotExist) { // it went meanwhile
			return nil
		}
		return err
	})
}

func setGroupOf(root *os.Root, path string, group int) error {
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if groupOf(info) != group {
		if err := root.Lchown(path, -1, group); err != nil {
			return err
		}
	}
	mode := info.Mode() &^ fs.ModeType
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		return nil
	case info.IsDir():
		mode |= groupBits | groupDirBits | fs.ModeSetgid
	default:
		mode |= groupBits
	}
	return root.Chmod(path, mode)
}
