package child

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Run runs cmd, a program that the kernel kills when this process ends and that no Ctrl-C of the terminal reaches: this
// process decides what becomes of it.
func Run(cmd *exec.Cmd) error {
	runtime.LockOSThread() // the signal comes when the thread ends that started the program
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	return cmd.Run()
}
