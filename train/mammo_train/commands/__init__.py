"""The commands of ``mammo``, one file each: a few calls and what is said about them."""
