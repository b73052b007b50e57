# The first process of a node: gives it a root of its own and stays, to reap orphans.
# Runs in new mount, uts, ipc and pid namespaces. Arguments: the node's name and directory, the
# root that nodes share, the directory of archives.
set -eu
name=$1 directory=$2 shared=$3 archives=$4
root=$directory/root

echo "$name" > /proc/sys/kernel/hostname
# what every installer of Kubernetes asks of a node
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
mount --make-rprivate /
mount -t overlay overlay \
    -o "lowerdir=$shared,upperdir=$directory/upper,workdir=$directory/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# overlayfs cannot stack its upper directory
mount --bind "$directory/containerd" "$root/var/lib/containerd"
mount --bind "$archives" "$root/mnt"
for program in "$directory/programs/"*; do
    mount --bind "$(readlink -f "$program")" "$root/usr/local/bin/$(basename "$program")"
done

cd "$root"
mkdir -p .host
pivot_root . .host
umount -l .host
rmdir .host
mount --make-rshared /
mkdir -p /run/netns
touch /run/booted
sleep infinity &
wait
